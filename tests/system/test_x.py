import time, pathlib, os
from crowd import Crowd
from workers import processes_of
from test_torture import SEED
def test_x(new_site, tmp_path):
    crowd = Crowd(new_site(workers=[]), 20, tmp_path)
    crowd.request(300)
    crowd.start()
    print(crowd.kill_some(SEED, 150))
    crowd.check(90)
    for w in crowd.workers: w.stop()
    crowd.site.dashboard.stop()
    time.sleep(1)
    for pid in processes_of(crowd.site.path):
        p=pathlib.Path(f"/proc/{pid}")
        print(pid, p.joinpath("cmdline").read_bytes()[-300:], p.joinpath("status").read_text()[:300], p.joinpath("wchan").read_text(), p.joinpath("stack").read_text() if os.geteuid()==0 else "")
        os.kill(pid, 9)
