"""Images in files: found in folders or Parquet, decoded by worker processes, kept in a cache, made into batches."""
