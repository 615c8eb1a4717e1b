"""The flows of content: publish it to holders, fetch it from them."""
