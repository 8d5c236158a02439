// Package cli is the hallmark command, a thin shell over the public packages.
// The environment, the clock and the standard streams are used here and nowhere
// below.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Exit statuses of the command.
const (
	exitOK        = 0
	exitDenied    = 1 // denied, or not covered by the policy
	exitUndecided = 2 // could not decide, could not do it, or bad usage
)

// errDenied and errUndecided end a command whose result is already printed.
var (
	errDenied    = errors.New("denied")
	errUndecided = errors.New("could not decide")
)

// An app is one run of the command.
type app struct {
	env    func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	shown  bool // progress stands on the last line of stderr

	stdinFor string // what standard input was read as, which can be one thing only
}

// input is standard input, for the one thing that may be read from it.
func (a *app) input(what string) (io.Reader, error) {
	if a.stdinFor != "" {
		return nil, fmt.Errorf("standard input cannot be both the %s and the %s: give one of them as a file", a.stdinFor, what)
	}
	a.stdinFor = what
	return a.stdin, nil
}

// Run runs the command and returns its exit status: 0 for allowed or done, 1 for
// denied or not covered, 2 for could not decide and for every other error.
// Results go to stdout, everything else to stderr. It closes nothing.
func Run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{env: env, stdin: stdin, stdout: &failing{w: stdout}, stderr: stderr}
	root := a.command()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(a.stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		// What could not be printed was not said.
		err = a.stdout.(*failing).err
	}
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errDenied):
		return exitDenied
	case errors.Is(err, errUndecided):
		return exitUndecided
	}
	fmt.Fprintf(stderr, "hallmark: %s\n", safe(strings.TrimSpace(err.Error())))
	return exitUndecided
}

// A failing writer remembers its first error.
type failing struct {
	w   io.Writer
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("writing the result: %w", err)
	}
	return n, err
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "hallmark",
		Short: "Attest artifacts, verify what others attested, and decide by a policy",
		Long: `Hallmark makes signed statements about artifacts, and decides about artifacts by
the signed statements of others.

Exit status: 0 allowed or done, 1 denied or not covered by the policy, 2 could
not decide or bad usage. Results are on stdout, everything else on stderr.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Version:           version(),
		Args:              cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_ = c.Help()
			return errors.New("say what to do: attest, verify, inspect, keygen or policy")
		},
	}
	root.AddCommand(a.attestCommand(), a.verifyCommand(), a.inspectCommand(), a.keygenCommand(), a.policyCommand())
	return root
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// outputFlag adds --output and returns what gives its value.
func outputFlag(c *cobra.Command) func() (asJSON bool, err error) {
	format := c.Flags().StringP("output", "o", "text", "`format` of the result: text or json")
	return func() (bool, error) {
		switch *format {
		case "text":
			return false, nil
		case "json":
			return true, nil
		}
		return false, fmt.Errorf("--output %q, want text or json", *format)
	}
}

// progress returns a function that shows how far hashing is, or nil when nobody
// watches: stderr must be a terminal.
func (a *app) progress() func(name string, bytes int64) {
	f, ok := a.stderr.(*os.File)
	if !ok {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	const step = 64 << 20
	return func(name string, n int64) {
		if n >= step && n%step < 128<<10 {
			fmt.Fprintf(f, "\r\x1b[Khashing %s: %d MiB", printable(name), n>>20)
			a.shown = true
		}
	}
}

// endProgress clears the line that progress wrote.
func (a *app) endProgress() {
	if a.shown {
		fmt.Fprint(a.stderr, "\r\x1b[K")
		a.shown = false
	}
}

// safe keeps the lines of a message, and makes visible what else could deceive a
// terminal or its reader: messages may quote what came from outside.
func safe(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.IndexFunc(line, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) && r != '\t' }) >= 0 {
			lines[i] = printable(line)
		}
	}
	return strings.Join(lines, "\n")
}

// printable makes a text from outside fit for a terminal.
func printable(s string) string {
	quoted := fmt.Sprintf("%q", s)
	return quoted[1 : len(quoted)-1]
}
