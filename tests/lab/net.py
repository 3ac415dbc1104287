"""The lab's network: one router namespace without a route out, a bridge per VLAN with the gateway
address 192.168.VLAN.1/24, and a veth from each host's own namespace to the bridge of its VLAN."""

import hashlib
import json
import os

from base import LabError, locked, run

DOCKER_VLAN = 10


class Net:
    def __init__(self, instance, state):
        self.instance = instance
        self.state = state
        self.router = f'{instance}-net'

    def netns_path(self, netns=None):
        return f'/run/netns/{netns or self.router}'

    def host_netns(self, host):
        return f'{self.instance}.h.{host}'  # no instance name holds a dot

    def inside(self, argv):
        """argv, to be run in the router namespace. (`ip netns exec` would hide the cgroups.)"""
        return ['nsenter', f'--net={self.netns_path()}', '--'] + list(argv)

    def _batch(self, netns, lines):
        run(['ip', '-n', netns, '-batch', '-'], stdin='\n'.join(lines).encode())

    # The router

    def up(self, vlans):
        if not os.path.exists(self.netns_path()):
            run(['ip', 'netns', 'add', self.router])
            run(['ip', '-n', self.router, 'link', 'set', 'lo', 'up'])
            run(self.inside(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=1']))
        for vlan in vlans:
            self.vlan(vlan)

    def vlan(self, tag):
        """The bridge of a VLAN, made when it is first used."""
        bridge = f'br{tag}'
        if not 1 <= tag <= 254:
            raise LabError(f'VLAN {tag}: the lab has 1 to 254')
        if not os.path.exists(self.netns_path()):
            raise LabError('the lab is not up')
        with locked(self.state, '.vlan'):
            have = run(['ip', '-n', self.router, '-br', 'link', 'show', 'type', 'bridge'])
            if bridge not in have.split():
                self._batch(self.router, [f'link add {bridge} type bridge forward_delay 0',
                                          f'addr add {self.gateway(tag)}/24 dev {bridge}',
                                          f'link set {bridge} up'])
        return bridge

    @staticmethod
    def gateway(tag):
        return f'192.168.{tag}.1'

    # A host's link

    def link_name(self, host):
        return 'v' + hashlib.sha256(host.encode()).hexdigest()[:12]

    def plug(self, host, mac, tag, up=True):
        """Gives the host an eth0 with this address on the VLAN; an earlier link is replaced."""
        bridge, netns, link = self.vlan(tag), self.host_netns(host), self.link_name(host)
        if not os.path.exists(self.netns_path(netns)):
            run(['ip', 'netns', 'add', netns])
            run(['ip', '-n', netns, 'link', 'set', 'lo', 'up'])
        run(['ip', '-n', self.router, 'link', 'del', link], check=False)
        self._batch(self.router, [
            f'link add {link} type veth peer name eth0 address {mac} netns {netns}',
            f'link set {link} master {bridge} {"up" if up else "down"}'])
        # What was heard of its address before. An entry that goes by itself meanwhile fails the flush.
        for left in range(4, -1, -1):
            try:
                run(['ip', '-n', self.router, 'neigh', 'flush', 'dev', bridge])
                break
            except LabError:
                if not left:
                    raise

    def unplug(self, host):
        run(['ip', '-n', self.router, 'link', 'del', self.link_name(host)], check=False)
        if os.path.exists(self.netns_path(self.host_netns(host))):
            run(['ip', 'netns', 'del', self.host_netns(host)])

    def link(self, host, up):
        run(['ip', '-n', self.router, 'link', 'set', self.link_name(host), 'up' if up else 'down'])

    def interfaces(self, host):
        """What the guest agent's network-get-interfaces tells, from the host's own namespace."""
        out = []
        for link in json.loads(run(['ip', '-n', self.host_netns(host), '-j', 'addr'])):
            addresses = [{'ip': a['local'], 'prefix': a['prefixlen'],
                          'family': 'ipv4' if a['family'] == 'inet' else 'ipv6'}
                         for a in link['addr_info']]
            out.append({'name': link['ifname'], 'mac': link.get('address', ''),
                        'addresses': addresses})
        return out

    # Docker

    def _docker_bridge(self):
        return 'nl' + hashlib.sha256(self.instance.encode()).hexdigest()[:10]

    def docker_name(self):
        return f'nante-lab-{self.instance}'

    def docker_network(self):
        """An internal Docker network on VLAN 10, so that containers reach hosts and API; its name."""
        name, bridge = self.docker_name(), self._docker_bridge()
        subnet = f'192.168.{DOCKER_VLAN}.0/24'
        gateway = f'192.168.{DOCKER_VLAN}.254'
        for route in json.loads(run(['ip', '-j', 'route', 'show', 'root', subnet]) or '[]'):
            if route.get('dev') != bridge:
                raise LabError(f"this machine already routes {subnet} to {route.get('dev')}: "
                               'a Docker network on it would reach the wrong place')
        if run(['docker', 'network', 'ls', '-q', '-f', f'name=^{name}$']).strip() == '':
            run(['docker', 'network', 'create', '--internal', '--subnet', subnet,
                 '--ip-range', f'192.168.{DOCKER_VLAN}.192/27', '--gateway', gateway,
                 '-o', f'com.docker.network.bridge.name={bridge}', name])
        if run(['ip', 'link', 'show', bridge + 'd'], check=False) == '':
            run(['ip', 'link', 'add', bridge + 'd', 'type', 'veth',
                 'peer', 'name', 'docker', 'netns', self.router])
            run(['ip', 'link', 'set', bridge + 'd', 'master', bridge, 'up'])
            self._batch(self.router, [f'link set docker master {self.vlan(DOCKER_VLAN)} up'])
        return name

    def _docker_down(self):
        bridge = self._docker_bridge()
        if run(['ip', 'link', 'show', bridge], check=False) == '':
            return  # Docker removes the bridge with the network: none was made
        run(['ip', 'link', 'del', bridge + 'd'], check=False)
        held = run(['docker', 'network', 'inspect', '-f',
                    '{{range $id, $c := .Containers}}{{$id}} {{end}}', self.docker_name()],
                   check=False)
        for container in held.split():
            run(['docker', 'network', 'disconnect', '-f', self.docker_name(), container],
                check=False)
        run(['docker', 'network', 'rm', self.docker_name()])

    def down(self):
        self._docker_down()
        names = os.listdir('/run/netns') if os.path.isdir('/run/netns') else []
        for netns in names:
            if netns == self.router or netns.startswith(f'{self.instance}.h.'):
                run(['ip', 'netns', 'del', netns])
