"""What pytest must not look into: modules whose packages are not installed."""

from importlib.util import find_spec

collect_ignore_glob = []
if find_spec("torch") is None:  # the extra train: doctests would import it
    room = "src/chemoscape/particles/maskrcnn"
    collect_ignore_glob = [
        f"{room}/{name}.py" for name in ("data", "export", "losses", "network", "training")
    ]
