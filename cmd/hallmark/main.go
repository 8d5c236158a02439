// Command hallmark attests, verifies and decides about artifacts, for scripts.
// Run "hallmark help" for what it can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hallmark-dev/hallmark/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		stop() // a second signal ends the process at once
		// What waits for a pipe or a terminal does not look at the context.
		time.Sleep(2 * time.Second)
		os.Exit(2)
	})
	os.Exit(cli.Run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
}
