"""What is done to batches of training images, on the device, before any network sees them."""
