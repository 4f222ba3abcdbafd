// Ginweb is a service of gin, with a command line of cobra.
package main

import (
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
	"github.com/spf13/cobra"

	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/test/real/daemon"
)

func main() {
	options := lifecycle.Options{Name: "ginweb"}
	root := &cobra.Command{Use: "ginweb", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) {
		os.Exit(lifecycle.Main(options, nil, serve))
	}}
	for _, name := range []string{"reload", "status"} {
		root.AddCommand(&cobra.Command{Use: name, DisableFlagParsing: true, Run: func(_ *cobra.Command, args []string) {
			os.Exit(lifecycle.Main(options, append([]string{name}, args...), serve))
		}})
	}
	if err := root.Execute(); err != nil {
		os.Exit(2)
	}
}

func serve(service *lifecycle.Service) error {
	if err := daemon.ReadConfig(); err != nil {
		return err
	}
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(gin.Recovery())
	router.Any("/*path", gin.WrapH(daemon.Handler(service.Generation())))
	router.UseH2C = true
	return service.ListenAndServe(&http.Server{Addr: daemon.Address, Handler: router.Handler()})
}
