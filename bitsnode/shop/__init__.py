"""What a creator shows and sells to people without a node: catalogue, orders, claim codes."""
