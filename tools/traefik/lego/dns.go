// Package dns takes the place of lego's package of this name: it knows no
// provider of DNS. Each of lego's two hundred brings its vendor's client, which
// takes longer to build than all the rest; the tests have a certificate of
// their own.
package dns

import (
	"fmt"

	"github.com/go-acme/lego/v5/challenge"
)

// NewDNSChallengeProviderByName refuses every name.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("this build of traefik has no provider of DNS, and so not %q: use a certificate from a Secret", name)
}
