"""The service over HTTP (needs the extra ``serve``): Penchant's own JSON, and Gorse's for its clients."""
