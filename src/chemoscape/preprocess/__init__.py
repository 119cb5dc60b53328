"""From recorded images to optical density: drift between frames, the empty beam, and the noise of
both.
"""
