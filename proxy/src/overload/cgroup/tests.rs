//! Where the kernel puts it, by what it says on machines of each kind.

use std::path::Path;

use super::{V1, V2, place};

const V1_MOUNTS: &str = "\
30 20 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro
31 30 0:26 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory
33 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
const V1_IN_CONTAINER: &str = "\
32 30 0:27 /kubepods/pod7/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
";
const V2_MOUNT: &str =
    "30 20 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const V2_IN_CONTAINER: &str =
    "30 20 0:25 /kubepods.slice/pod7.slice/abc.scope /sys/fs/cgroup ro - cgroup2 cgroup rw\n";

#[test]
fn where_the_own_cgroup_is() {
    let v1 = "9:name=systemd:/x\n4:memory:/kubepods/pod7/abc\n0::/\n";
    let several = "3:cpu,cpuacct:/\n4:hugetlb,memory:/a b\n";
    for (cgroup, mounts, expected) in [
        (v1, V1_MOUNTS, Some((V1, "/sys/fs/cgroup/memory", "kubepods/pod7/abc"))),
        (v1, V1_IN_CONTAINER, Some((V1, "/sys/fs/cgroup/memory", ""))),
        (several, V1_MOUNTS, Some((V1, "/sys/fs/cgroup/memory", "a b"))),
        ("4:memory:/other\n", V1_IN_CONTAINER, Some((V1, "/sys/fs/cgroup/memory", ""))),
        ("0::/system.slice/weft\n", V2_MOUNT, Some((V2, "/sys/fs/cgroup", "system.slice/weft"))),
        ("0::/\n", V2_MOUNT, Some((V2, "/sys/fs/cgroup", ""))),
        ("0::/\n", V2_IN_CONTAINER, Some((V2, "/sys/fs/cgroup", ""))),
        ("0::/../other\n", V2_MOUNT, Some((V2, "/sys/fs/cgroup", ""))),
        ("0::/x\n", "", None),
        ("4:memory:/x\n", V2_MOUNT, None),
        ("nonsense\n", V2_MOUNT, None),
        ("", V1_MOUNTS, None),
    ] {
        let found = place(cgroup, mounts);
        let found = found.as_ref().map(|(names, mount, below)| (*names, &**mount, &**below));
        let expected =
            expected.map(|(names, mount, below)| (names, Path::new(mount), Path::new(below)));
        assert_eq!(found, expected, "{cgroup:?} {mounts:?}");
    }
}
