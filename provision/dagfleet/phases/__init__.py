"""An apply is a list of phases; each has a title, one job, and leaves what the next one needs in the Work."""
