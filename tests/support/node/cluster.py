"""One real Kubernetes node with its control plane, inside namespaces that `support.node.namespaces` has made."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final, Self

from support.kube.control_plane import answers
from support.node import commands, configuration, images
from support.node.places import API, CONTAINERD, KUBECONFIG, NODE, PID, RUN, SOCKET
from support.process.programs import Program, tool

_START_S: Final = 120.0


class Cluster:
    """Its programs, each of which a test may end and start again. Use it with `with`: leaving it ends all of them."""

    def __init__(self) -> None:
        """Raises `FileNotFoundError` where a program is not built."""
        self.etcd = Program(commands.etcd(), RUN / "etcd.log")
        self.api = Program(commands.api_server(), RUN / "kube-apiserver.log")
        self.controllers = Program(commands.controllers(), RUN / "kube-controller-manager.log")
        self.scheduler = Program(commands.scheduler(), RUN / "kube-scheduler.log")
        self.proxy = Program(commands.proxy(), RUN / "kube-proxy.log")
        self.policies = Program(commands.policies(), RUN / "kube-router.log")
        self.containerd = Program(commands.containerd(), RUN / "containerd.log")
        self.names = Program(commands.names(), RUN / "coredns.log")
        self.kubelet = Program(commands.kubelet(), RUN / "kubelet.log")

    def start(self) -> None:
        """Start everything; returns once the node is ready. Raises `RuntimeError` with the log of what failed."""
        _empty_run_folder()
        token = configuration.write()
        self.etcd.start()
        self.containerd.start()
        self.etcd.wait(lambda: answers(f"{commands.ETCD}/health"))
        self.api.start()
        self.containerd.wait(SOCKET.exists)
        self._forget_pods_of_another_node()
        images.bring()
        self.api.wait(lambda: answers(f"{API}/readyz", token))
        configuration.write_kubeconfig(token, commands.CERTIFICATE)
        for program in (self.controllers, self.scheduler, self.proxy, self.names, self.kubelet):
            program.start()
        self.kubelet.wait(self._is_ready, _START_S)
        self.policies.start()  # it asks for the node

    def stop(self) -> None:
        """End everything: the kubelet first, for it starts again what is ended, and containerd after the pods."""
        self.kubelet.stop()
        if self.containerd.running:
            self._end_pods()
        others = (self.policies, self.names, self.proxy, self.scheduler, self.controllers, self.api, self.etcd)
        for program in (self.containerd, *others):
            program.stop(within=5)  # the API server would wait for its watches

    def start_api(self) -> None:
        """Start the API server again; returns once it is ready."""
        token = (RUN / "tokens.csv").read_text().partition(",")[0]
        self.api.start()
        self.api.wait(lambda: answers(f"{API}/readyz", token))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _is_ready(self) -> bool:
        """Whether the node takes pods, and the controllers have made the account that pods need."""
        path = '{.status.conditions[?(@.type=="Ready")].status}'
        node = self._kubectl("get", "node", NODE, f"--output=jsonpath={path}")
        return node == "True" and bool(self._kubectl("get", "serviceaccount", "default", "--output=name"))

    def _kubectl(self, *arguments: str) -> str:
        command = [str(tool("kubectl")), f"--kubeconfig={KUBECONFIG}", *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout

    def _forget_pods_of_another_node(self) -> None:
        """A node that was killed leaves records of its containers; containerd reads them at its start."""
        if left := images.ctr("containers", "list", "--quiet").split():
            images.ctr("containers", "delete", *left)
            self.containerd.stop()
            self.containerd.start()
            self.containerd.wait(SOCKET.exists)

    def _end_pods(self) -> None:
        for task in images.ctr("tasks", "list", "--quiet").split():
            subprocess.run(
                ["ctr", f"--address={SOCKET}", "--namespace=k8s.io", "tasks", "delete", "--force", task],
                check=False,
                capture_output=True,
                timeout=30,
            )
        if left := images.ctr("containers", "list", "--quiet").split():
            images.ctr("containers", "delete", *left)


def _empty_run_folder() -> None:
    for each in RUN.iterdir() if RUN.exists() else ():
        if each != PID:
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    CONTAINERD.mkdir(parents=True, exist_ok=True)
