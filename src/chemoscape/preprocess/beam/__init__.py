"""The incident beam: where the field is empty, I0 from elsewhere, its unit, whether it fits."""
