"""From result files to tables and figures: reads files only; of `repro` it imports only `store`."""
