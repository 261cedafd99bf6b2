// Package registry speaks to a schema registry by the Confluent API: it registers the contracts
// of a program's events at a deployment, and frames payloads for topics that others read.
//
//	client, err := registry.New(registry.Config{URLs: []string{"https://registry.example.com"}, Token: token})
//	…
//	id, err := client.Register(ctx, registry.ByTopic("orders"), contract, registry.Backward)
//	…
//	codec := registry.Framed(orders.Codec, client)
//
// The log needs no registry: a store keeps the contracts of its payloads itself. A registry is for
// consumers elsewhere, and so it is asked at a deployment, at start, and by a consumer that meets
// an id for the first time; never when a command is decided or an event encoded.
//
// Whether a contract is compatible with the former ones our own rules say, those of packages avro,
// protobuf and jsonschema, before the registry is asked: registries differ in that, and some are
// wrong. A registry may refuse by rules of its own besides.
//
// [Check] is the same before a change is merged, against a registry, a directory of files, or
// that directory as it was at a revision of git. The commands contracts check, write and register
// of package command do it for a service.
package registry
