"""What every room may use: boxes, texts, pictures, files, sizes and numbers. Knows no other room."""
