// Package pg is what all who speak to Postgres share: the names in their SQL, and
// what its errors mean.
package pg
