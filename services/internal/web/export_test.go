package web

// ServeFor is Serve whose requests have another grace.
var ServeFor = serve
