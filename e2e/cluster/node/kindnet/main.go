// Command kindnet is the pod network of a kind node as far as tests need it: IPv4, no policies.
//
// It writes the CNI configuration for the node's own pod range, keeps a route to the pod range of
// every other node, and masquerades what leaves the cluster's pod subnet. kind's own kindnetd does
// the same and more, but is in no package registry.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	account       = "/var/run/secrets/kubernetes.io/serviceaccount/"
	configuration = "/etc/cni/net.d/10-kindnet.conflist"
	settled       = 3 * time.Second
	starting      = 300 * time.Millisecond
)

const template = `{"cniVersion":"0.4.0","name":"kindnet","plugins":[
 {"type":"ptp","ipMasq":false,"ipam":{"type":"host-local","dataDir":"/run/cni-ipam-state",
  "ranges":[[{"subnet":"%s"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}
`

type nodes struct {
	Items []struct {
		Metadata struct{ Name string }
		Spec     struct{ PodCIDR string }
		Status   struct {
			Addresses []struct{ Type, Address string }
		}
	}
}

type network struct {
	client       *http.Client
	endpoint     string
	node, subnet string
}

func main() {
	endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT")
	if endpoint == "" {
		endpoint = net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	}
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	n := network{
		client:   &http.Client{Timeout: 10 * time.Second, Transport: transport},
		endpoint: endpoint,
		node:     os.Getenv("NODE_NAME"),
		subnet:   os.Getenv("POD_SUBNET"),
	}
	pause, last := starting, ""
	for {
		if err := n.synchronize(); err == nil {
			pause = settled
		} else if err.Error() != last {
			last = err.Error()
			log.Print(last)
		}
		time.Sleep(pause)
	}
}

func (n network) synchronize() error {
	list, err := n.list()
	if err != nil {
		return err
	}
	for _, node := range list.Items {
		if node.Spec.PodCIDR == "" {
			continue
		}
		if node.Metadata.Name == n.node {
			if err := n.own(node.Spec.PodCIDR); err != nil {
				return err
			}
			continue
		}
		for _, a := range node.Status.Addresses {
			if a.Type != "InternalIP" || net.ParseIP(a.Address).To4() == nil {
				continue
			}
			if err := run("ip", "route", "replace", node.Spec.PodCIDR, "via", a.Address); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n network) list() (nodes, error) {
	var list nodes
	// Read each time: the token is renewed under us.
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return list, err
	}
	request, err := http.NewRequest("GET", "https://"+n.endpoint+"/api/v1/nodes", nil)
	if err != nil {
		return list, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	answer, err := n.client.Do(request)
	if err != nil {
		return list, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return list, fmt.Errorf("nodes: %s", answer.Status)
	}
	return list, json.NewDecoder(answer.Body).Decode(&list)
}

// own configures this node's pod range.
func (n network) own(podRange string) error {
	want := fmt.Sprintf(template, podRange)
	if have, _ := os.ReadFile(configuration); string(have) != want {
		if err := os.WriteFile(configuration+".tmp", []byte(want), 0o644); err != nil {
			return err
		}
		if err := os.Rename(configuration+".tmp", configuration); err != nil {
			return err
		}
		log.Printf("pod range %s", podRange)
	}
	rule := []string{"POSTROUTING", "-s", podRange, "!", "-d", n.subnet, "-j", "MASQUERADE"}
	if run("iptables", append([]string{"-w", "-t", "nat", "-C"}, rule...)...) == nil {
		return nil
	}
	return run("iptables", append([]string{"-w", "-t", "nat", "-A"}, rule...)...)
}

func run(name string, arguments ...string) error {
	if out, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, out)
	}
	return nil
}
