// Package zoo keeps the failures that others have met in the field, one test
// each, under a name that tells the story: `TestZoo/genieacs_79_cookie_without_path`.
// The agent that runs here is the real one, on a router in memory, against the
// strict ACS of the bench, over a network in memory and in virtual time.
//
// The rows are numbered as in the list of field failures that the project
// keeps; what no test covers yet is named, with its reason, by the test itself.
// Attacks on routers that made history are replayed in the same way.
package zoo
