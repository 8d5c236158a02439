package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hallmark-dev/hallmark/policy"
)

func (a *app) policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check and explain policy files",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_ = c.Help()
			return fmt.Errorf("say what to do: explain or lint")
		},
	}
	c.AddCommand(
		&cobra.Command{
			Use:     "explain POLICY",
			Short:   "Show a policy as it is understood, with every default written out",
			Example: `  hallmark policy explain policy.yaml`,
			Args:    cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error {
				p, err := a.policyFile(args[0])
				if err != nil {
					return err
				}
				_, err = fmt.Fprint(a.stdout, p.Explain())
				return err
			},
		},
		a.lintCommand())
	return c
}

func (a *app) lintCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "lint POLICY...",
		Short: "List everything that is wrong or questionable in policy files",
		Long: `List everything that is wrong or questionable in policy files.

Exit status: 0 without errors (warnings may be listed), 1 with errors, 2 if a file
could not be read.`,
		Example: `  hallmark policy lint policy.yaml`,
		Args:    cobra.MinimumNArgs(1),
	}
	asJSON := outputFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		jsonOut, err := asJSON()
		if err != nil {
			return err
		}
		problems := []jsonProblem{}
		result := error(nil)
		for _, name := range args {
			data, err := a.readFile("policy", name, policy.MaxPolicyBytes)
			if err != nil {
				return err
			}
			for _, p := range policy.Lint(name, data, beside(name)) {
				if p.Severity == policy.SeverityError {
					result = errDenied
				}
				problems = append(problems, jsonProblem{p.File, p.Line, p.Column, p.Severity.String(), p.Path, p.Message, p.Suggestion})
				if !jsonOut {
					fmt.Fprintf(a.stdout, "%s: %s\n", p.Severity, safe(p.Error()))
				}
			}
		}
		if jsonOut {
			if err := writeJSON(a.stdout, problems); err != nil {
				return err
			}
		}
		return result
	}
	return c
}

type jsonProblem struct {
	File       string `json:"file"`
	Line       int    `json:"line"`
	Column     int    `json:"column"`
	Severity   string `json:"severity"`
	Path       string `json:"path,omitempty"`
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"`
}

func writeJSON(w interface{ Write([]byte) (int, error) }, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
