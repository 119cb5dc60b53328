"""Several stacks of one sample, one after the other in time: what they share, and what changes.

`moments` finds the stacks and their times, `sharing` puts them on the pixels and energies of the
first, `registration` finds how far the field moved between them, `mosaic` lays them side by side so
that pixels of all times are clustered together, `together` joins the results of all along a
dimension ``time``, and `evolution` tells what changes with it. `chemoscape.workflow` puts them in
order.
"""
