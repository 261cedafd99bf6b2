// Package catalog knows the schemas in which read models stand, as Postgres's catalog has
// them: it makes them by a definition's DDL, says what stands on their tables and what
// depends on these, compares the tables of two, and reads who may use them. It knows nothing
// of builds and events.
package catalog
