"""Where images and labels come from: one module a source, each giving a `Source` of records."""
