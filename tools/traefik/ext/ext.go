// Package ext is where a distribution of traefik adds fields to its
// configuration. Ours adds none. traefik keeps its own beside its sources as
// another module, which its published module does not contain.
package ext

// HTTP adds no field to the HTTP configuration.
type HTTP struct{}

// Router adds no field to a router.
type Router struct{}

// RouterIng adds no annotation to an Ingress.
type RouterIng struct{}

// ToRouter returns what the annotations add to a router.
func (RouterIng) ToRouter() Router { return Router{} }
