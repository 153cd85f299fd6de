//! HTTP: server, routes, handlers and tokens at the edge
