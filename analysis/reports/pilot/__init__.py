"""`pilot`: which silent switches of a recipe move the comparison of objectives."""
