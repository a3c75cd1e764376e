"""Pages that a person looks at: reports, contact sheets, views of rows."""
