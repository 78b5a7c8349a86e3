"""The live service under load: real HTTP on loopback, the load generator in a process of its own."""
