"""Live streams: what is said on a topic, from whoever says it to every browser that watches."""
