"""Charts of results that have no page: a chart for each shape of result, one module each."""
