"""From a source of data to rows: labels, pictures, splits, a data set card."""
