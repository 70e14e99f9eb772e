"""Living figures of the site: Table 1 and Figure 3 with their runs, from the collected tables."""
