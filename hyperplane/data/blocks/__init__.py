"""What the data formats share: pictures, tables, splits, files, and how to say what is wrong."""
