"""One particle at two resolutions: STXM beside ptychography (Figures 4A and 4B)."""
