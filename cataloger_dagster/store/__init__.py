"""Where pages are kept: write-once snapshots over a folder or an S3 bucket."""
