# SPDX-License-Identifier: Apache-2.0
"""What the tests of funnel-pretrain on CUDA devices share. The devices are the host runtime's, whose
options say how many there are and what they are like; kernels are checked elsewhere, not here."""

import os

from pretrain_runs import PretrainRuns

UNCHECKED = "race=off,init=off"


class DeviceRuns(PretrainRuns):
    def devices(self, options):
        """From now on every run of this test has these devices."""
        os.environ["FUNNEL_CUDACPU"] = f"{UNCHECKED},{options}"
        self.addCleanup(os.environ.pop, "FUNNEL_CUDACPU", None)

    def on_cuda(self, run, devices=1, settings=(), **options):
        self.devices(f"devices={devices}")
        return self.pretrain(run, settings=["device=cuda", *settings], **options)
