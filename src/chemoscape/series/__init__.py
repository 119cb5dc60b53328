"""Several stacks of one sample, one after the other in time: what they share, and what changes.

`moments` finds the stacks and their times, `sharing` puts them on the pixels and energies of the
first, `registration` finds how far the field moved between them, `places` takes regions of the
first along, `mosaic` lays stacks side by side so that pixels of all times are clustered together,
`together` joins the results of all along a dimension ``time``, `evolution` tells what changes with
it, with `errors`, and `table` and `numbers` write that down. `chemoscape.workflow` puts them in
order.
"""
