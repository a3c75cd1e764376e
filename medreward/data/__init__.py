"""Data: sources -> examples -> rows -> parquet."""
