"""What pictures, films and sounds become before they are sold: without metadata, and playable."""
