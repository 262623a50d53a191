// Package peers holds tests of the agent against programs that we did not
// write: web servers in front of the ACS, name servers, curl. They need Debian
// packages, which `make check-peers` installs; elsewhere each test says what it
// lacks and is skipped.
package peers
