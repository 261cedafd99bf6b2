package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/asof-dev/asof/es"
	"github.com/asof-dev/asof/es/schema/registry"
)

const registryHelp = "The registry is that of --registry or SCHEMA_REGISTRY_URL. SCHEMA_REGISTRY_TOKEN, or\n" +
	"SCHEMA_REGISTRY_USER and SCHEMA_REGISTRY_PASSWORD, say who asks; SCHEMA_REGISTRY_CA is a file of\n" +
	"certificates that vouch for it, where the system's do not."

func newContracts(s Service) *cobra.Command {
	cmd := group("contracts", "The contracts of the service's events: compare, write and register them")
	cmd.Hidden = len(s.Contracts) == 0
	cmd.AddCommand(newContractsCheck(s), newContractsWrite(s), newContractsRegister(s))
	return cmd
}

func newContractsCheck(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check [--files DIR [--git REVISION]] [--registry URL]", DisableFlagsInUseLine: true,
		Short: "Compare the contracts with those that are out there, before a merge or a deployment",
		Long: "Compare the contracts of this program with those of a directory that `contracts write` has\n" +
			"written, with that directory as it was at a revision of git, or with a registry. By our own\n" +
			"rules, as registries differ in theirs. Nothing is changed.\n\n" +
			"  contracts check --files contracts --git origin/main\n\n" +
			"The exit code is 1 when a contract breaks what it owes to a former one.\n\n" + registryHelp,
		Args: arguments(0, 0),
	}
	dir := cmd.Flags().String("files", "", "the directory of the contracts")
	revision := cmd.Flags().String("git", "", "the revision to read the directory at, such as origin/main")
	compatibility, address := compatibilityFlag(cmd), registryFlag(cmd)
	cmd.RunE = s.contracts(compatibility, func(ctx context.Context, session *Session, c registry.Compatibility) error {
		base, done, err := session.contractBase(*dir, *revision, *address)
		if err != nil {
			return err
		}
		defer done()
		report, err := registry.Check(ctx, s.Contracts, base, c)
		return session.reported(report, err, "do not merge or deploy this before that is mended")
	})
	return cmd
}

func newContractsWrite(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "write --files DIR", DisableFlagsInUseLine: true,
		Short: "Write the contracts into a directory, to be committed",
		Long: "Write the contracts into a directory: TYPE.vN.avsc, .proto or .json. Nothing is written when\n" +
			"one of them breaks what is there; --compatibility none writes it all the same.",
		Args: arguments(0, 0),
	}
	dir := cmd.Flags().String("files", "", "the directory")
	compatibility := compatibilityFlag(cmd)
	cmd.RunE = s.contracts(compatibility, func(ctx context.Context, session *Session, c registry.Compatibility) error {
		if *dir == "" {
			return usage("say where to: --files DIR")
		}
		report, err := registry.Write(ctx, *dir, s.Contracts, c)
		return session.reported(report, err, "nothing is written: mend that, or raise the type's EventSchema")
	})
	return cmd
}

func newContractsRegister(s Service) *cobra.Command {
	cmd := &cobra.Command{
		Use: "register [--registry URL]", DisableFlagsInUseLine: true,
		Short: "Register the contracts, at a deployment",
		Long: "Register the contracts of this program, after they are all compared by our own rules. What is\n" +
			"registered already keeps its id. Nothing is registered when one of them breaks what is there.\n\n" + registryHelp,
		Args: arguments(0, 0),
	}
	compatibility, address := compatibilityFlag(cmd), registryFlag(cmd)
	cmd.RunE = s.contracts(compatibility, func(ctx context.Context, session *Session, c registry.Compatibility) error {
		client, err := session.registry(*address)
		if err != nil {
			return err
		}
		defer client.Close()
		report, err := registry.Check(ctx, s.Contracts, client, c)
		if err != nil || !report.OK {
			return session.reported(report, err, "nothing is registered")
		}
		for _, d := range s.Contracts {
			id, err := client.Register(ctx, d.Subject, d.Contract, c)
			if err != nil {
				return contractError(err)
			}
			if err := session.Out.Line(registeredView{d.Type, d.Schema, d.Subject, id}); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

func compatibilityFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("compatibility", "backward", "none, backward, forward or full, or one of the last three with -transitive")
}

func registryFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("registry", "", "address of the registry's Confluent API (SCHEMA_REGISTRY_URL)")
}

// contracts is what the commands have in common.
func (s Service) contracts(compatibility *string, run func(context.Context, *Session, registry.Compatibility) error) func(*cobra.Command, []string) error {
	return s.Plain(func(ctx context.Context, session *Session, _ []string) error {
		if len(s.Contracts) == 0 {
			return notFound("%s declares no contracts: use the service's own command", s.Name)
		}
		c, err := registry.ParseCompatibility(*compatibility)
		if err != nil {
			return usage("--compatibility %q: give none, backward, forward or full, or one of the last three with -transitive", *compatibility)
		}
		return run(ctx, session, c)
	})
}

// contractBase is what to compare with; done ends it.
func (s *Session) contractBase(dir, revision, address string) (base registry.Base, done func(), err error) {
	done = func() {}
	switch {
	case dir != "" && address != "":
		return nil, done, usage("give --files or --registry, not both")
	case revision != "" && dir == "":
		return nil, done, usage("--git %s: say which directory, by --files", revision)
	case revision != "":
		return registry.Git(dir, revision), done, nil
	case dir != "":
		return registry.Files(dir), done, nil
	}
	client, err := s.registry(address)
	if err != nil {
		return nil, done, err
	}
	return client, client.Close, nil
}

// registry is the client by the flag and the environment.
func (s *Session) registry(address string) (*registry.Client, error) {
	if address == "" {
		address = s.Getenv("SCHEMA_REGISTRY_URL")
	}
	if address == "" {
		return nil, usage("say with which registry: --registry URL or SCHEMA_REGISTRY_URL")
	}
	c := registry.Config{URLs: addresses(address), Token: s.Getenv("SCHEMA_REGISTRY_TOKEN"), User: s.Getenv("SCHEMA_REGISTRY_USER"), Password: s.Getenv("SCHEMA_REGISTRY_PASSWORD")}
	if name := s.Getenv("SCHEMA_REGISTRY_CA"); name != "" {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, usage("SCHEMA_REGISTRY_CA: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, usage("SCHEMA_REGISTRY_CA: %s has no certificate", name)
		}
		c.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	client, err := registry.New(c)
	if err != nil {
		return nil, usage("%w", err)
	}
	return client, nil
}

// reported prints a report, and fails when it is not all right.
func (s *Session) reported(report registry.Report, err error, cure string) error {
	if err != nil {
		return contractError(err)
	}
	if err := s.Out.Document(contractsView{report}); err != nil || report.OK {
		return err
	}
	return WithCode(ExitFailure, fmt.Errorf("command: the contracts have %s: %s", counted(int64(report.Problems()), "problem", "problems"), cure))
}

// contractError has the exit code of a registry that does not answer.
func contractError(err error) error {
	if errors.Is(err, es.ErrUnavailable) {
		return WithCode(ExitUnreachable, err)
	}
	return err
}
