//! How many connections there may be, in all and per client address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections of one listener over all its threads.
#[derive(Default)]
pub(crate) struct Slots {
    open: AtomicUsize,
    /// Only touched where a bound per address is set; never while a request is handled.
    per_address: Mutex<HashMap<IpAddr, usize>>,
}

/// Why there is no slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// The process has as many as it may.
    Process,
    /// The client's address has.
    Address,
}

/// One connection's place; given back on drop.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    address: Option<IpAddr>,
}

impl Slots {
    /// How many connections are open.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// A place among `most` connections.
    pub(crate) fn take(self: &Arc<Self>, most: usize) -> Result<Slot, Full> {
        if self.open.fetch_add(1, Relaxed) >= most {
            self.open.fetch_sub(1, Relaxed);
            return Err(Full::Process);
        }
        Ok(Slot { slots: Arc::clone(self), address: None })
    }
}

impl Slot {
    /// Counts this connection for a client's address as well, which may have `most`; 0: any number.
    pub(crate) fn count_for(&mut self, address: IpAddr, most: usize) -> Result<(), Full> {
        if most == 0 {
            return Ok(());
        }
        let address = network(address);
        let mut map = self.slots.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = map.entry(address).or_insert(0);
        if *count >= most {
            return Err(Full::Address);
        }
        *count += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.open.fetch_sub(1, Relaxed);
        let Some(address) = self.address else { return };
        let mut map = self.slots.per_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = map.entry(address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 /64, which is what one customer is given.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_full_process_refuses_and_a_closed_connection_makes_room() {
        let slots = Arc::new(Slots::default());
        let (one, two) = (slots.take(2).unwrap(), slots.take(2).unwrap());
        assert_eq!(slots.take(2).err(), Some(Full::Process));
        assert_eq!(slots.open(), 2);
        drop(one);
        assert!(slots.take(2).is_ok());
        drop(two);
        assert_eq!(slots.open(), 0);
    }

    #[test]
    fn an_address_has_its_own_bound_and_a_v6_network_is_one_client() {
        let slots = Arc::new(Slots::default());
        let mut first = slots.take(9).unwrap();
        let mut second = slots.take(9).unwrap();
        first.count_for("2001:db8::1".parse().unwrap(), 1).unwrap();
        assert_eq!(second.count_for("2001:db8::2".parse().unwrap(), 1), Err(Full::Address));
        second.count_for("2001:db8:0:1::2".parse().unwrap(), 1).unwrap();
        drop(first);
        let mut third = slots.take(9).unwrap();
        third.count_for("2001:db8::9".parse().unwrap(), 1).unwrap();
        drop((second, third));
        assert!(slots.per_address.lock().unwrap().is_empty());
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address() {
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(network(mapped), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
