"""From run directories, or the tables collected from them, to data frames."""
