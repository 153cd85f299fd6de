//! Redis: scripts, keys, and one typed call per script
