// Package realkafka runs three Apache Kafka brokers for tests, on loopback.
//
//	cluster, err := realkafka.Start(ctx, realkafka.Config{})
//	if err != nil {
//		return err
//	}
//	defer cluster.Close()
//	brokers := cluster.Brokers()
//
// They form one KRaft cluster with replication 3 and min.insync.replicas 2,
// create topics only when asked to, and keep nothing: their directory goes with
// them. A broker can be killed and started again. It needs Java 17 or later, and
// Maven once, to fetch the jars.
//
// Java runs a Java program beside them, which needs a JDK, so that a test can ask a
// client that is not ours.
//
// The command withkafka runs any other command against such a cluster, and
// make test/kafka the tests that speak to brokers.
package realkafka
