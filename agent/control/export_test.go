package control

// CallerOf is what Peer makes of what the kernel says.
var CallerOf = caller
